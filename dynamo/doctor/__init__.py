"""What `manage.py doctor` looks at: each module yields findings."""
