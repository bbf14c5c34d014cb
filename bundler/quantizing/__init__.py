"""Making weights smaller on their way into a bundle (`--quantize`), by llama.cpp's own quantizer.

names → what the mixes of types are called          importance → importance matrices, in both of their formats
child → the frozen program that does it             plan → what would become of each tensor, and whether it may
quantize → all of it: from a chosen model to a smaller one

Refuses to know which model was chosen, and why (`choosing/`).
"""

from bundler.quantizing.names import FileType, find_file_type
from bundler.quantizing.quantize import Quantization, quantized

__all__ = ["FileType", "Quantization", "find_file_type", "quantized"]
