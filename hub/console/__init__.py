"""The operators' web pages and the open API, in a process of their own beside the hub's. Start reading at `app.py`."""
