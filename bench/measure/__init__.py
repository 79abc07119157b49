"""What `bench/run.py` is made of: scenarios, programs under test, CPU accounting, statistics, the table."""
