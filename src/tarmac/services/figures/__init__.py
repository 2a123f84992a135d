"""Figures: the present ones, those over time, and those that other systems ask for."""
