"""How a notification reaches somebody: by mail or by an HTTP request. Each sender raises TarmacError when it fails."""
