"""One module for each group of addresses, named after the address. Faust loads them; nothing imports them."""
