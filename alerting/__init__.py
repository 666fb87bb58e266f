"""DECIDE, TELL, PROVE: rules -> alert life cycle -> notices and evidence."""
