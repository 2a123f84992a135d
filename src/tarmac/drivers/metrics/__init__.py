"""How figures leave this host: `base.py` says what is sent, each other module speaks one server's language."""
