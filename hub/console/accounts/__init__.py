"""Who may use the console: passwords, second factors, sessions, roles."""
