"""Container images out of bundles, in OCI's layout, without a container daemon.

image   a bundle → a folder with an image        layers   what lies in each layer, as tar archives
oci     blobs, configurations and their index, as the OCI Image Specification 1.0 has them

Refuses to know how the bundle was made, and who runs the image.
"""
