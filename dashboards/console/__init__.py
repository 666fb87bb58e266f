"""The built-in pages: City, Site, Alerts; Chinese and English; no other software needed."""
