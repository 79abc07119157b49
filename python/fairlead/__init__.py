"""Fairlead, a load balancer: policy in Python, data plane in Rust."""
