"""What Mystic costs, beside what others cost: one run, the same machine, medians.

Law: nothing here asserts anything about time; a figure that misses its target is shown as short. Peers are
installed into the bench's own environment and told by their own settings to keep off the network.
"""
