"""Instruments for the geometry of a classifier: what a trained network does to distance.

Each room holds one idea: `datasets` and `models` are measured, `training` and `ensembles` make
them, `distances` is the first ruler. The book explains every room in the chapter that its
docstring names; the first is `book/distances/metric_structure`.

Importing the package imports none of its rooms: take the one you need.

>>> from companion import distances
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
