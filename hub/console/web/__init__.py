"""Between the socket and a route: headers, limits, who is asking, words, templates."""
