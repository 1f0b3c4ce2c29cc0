"""From runs that are wanted to the nodes that make and measure them, for one task and one chunk of seeds."""
