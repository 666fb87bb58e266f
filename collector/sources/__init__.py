"""One file per kind of source; each turns a protocol into READING frames and knows no other."""
