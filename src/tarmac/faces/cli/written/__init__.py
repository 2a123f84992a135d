"""The commands that are written by hand, because they are more than one call of the API; `catalog.py` names them."""
