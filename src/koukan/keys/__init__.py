"""Keys and their uses: identities, keyring, seals, tokens, issued numbers, signatures.

A right is a key that one holds. Nothing here asks who somebody is or what they may do: without the
key, no path through this code opens what it protects. Objects that hold keys cannot be pickled and
do not show them.
"""
