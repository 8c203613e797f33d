"""Simulated charge points on the `ocpp` package: they know nothing of our server and run against any other."""
