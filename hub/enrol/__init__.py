"""The HTTP side of enrolment: strangers ask over TLS, known devices renew over their present certificate."""
