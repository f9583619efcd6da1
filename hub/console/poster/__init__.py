"""The poster with a place's code, as PDF or PNG, for a door: set by typst, black on white."""
