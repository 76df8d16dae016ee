"""One module per command, each with a click command named ``command``; ``command_index`` lists them."""
