"""All that a lent GPU must tell, by two commands on a bare machine (`GPU.md`)."""
