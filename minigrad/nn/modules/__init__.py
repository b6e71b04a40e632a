"""The modules, one family a file; `minigrad.nn` lists them."""
