"""What can be learned of a bundle, of weights and of this machine without changing anything.

inspect, diff, sbom   what a bundle holds        verify   whether that is as it was built
extract               its parts, taken out       doctor   whether this machine can build and run

Refuses to know how a bundle is made.
"""
