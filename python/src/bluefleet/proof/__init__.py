"""The proof that a site keeps its promises, taken from outside: by the control machine, over the network."""
