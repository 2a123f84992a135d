"""Volumes behind one interface; the jail in which foreign images are opened."""
