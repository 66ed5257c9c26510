"""koukan: the batch file-exchange processor of an intermediate server for medical insurers."""

__version__ = "0.1.0"
