"""Who vouches for a bundle.

signing    keys and signatures, and where they lie        minisign   how they are computed

Refuses to know what is in the bundle: its bytes are signed.
"""
