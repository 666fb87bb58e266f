"""DL/T 645-2007, the protocol Chinese meters speak: frames, BCD, data items, dialogue; pure."""
