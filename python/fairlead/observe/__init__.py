"""What Fairlead says about itself."""
