"""How people and programs reach the services: API, command line, generated documents. Decides nothing."""
