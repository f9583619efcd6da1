"""The hub: receives check-ins from gates, keeps them, and gets them to the platform."""
