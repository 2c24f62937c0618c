# The rooms as a type checker and an editor see them; the module imports one when it is named.
from companion import attacks as attacks
from companion import book as book
from companion import borrow as borrow
from companion import datasets as datasets
from companion import decision as decision
from companion import distances as distances
from companion import ensembles as ensembles
from companion import isometry as isometry
from companion import models as models
from companion import plots as plots
from companion import progress as progress
from companion import run as run
from companion import storage as storage
from companion import subspaces as subspaces
from companion import training as training

__all__: list[str]
__version__: str
