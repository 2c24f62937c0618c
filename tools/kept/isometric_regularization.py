"""Run the chapter distances/isometric_regularization in the size of an hour and keep its claims.

    python tools/kept/isometric_regularization.py

The size that two cores finish in about an hour: all 60,000 images of MNIST and five seeds for
every network, also for the tools that the build runs once; 2,000 images are attacked.
"""

from executed import keep

if __name__ == "__main__":
    keep("distances/isometric_regularization", size="hour")
