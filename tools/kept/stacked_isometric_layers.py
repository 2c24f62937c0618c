"""Run the chapter distances/stacked_isometric_layers over five seeds and keep its claims.

    python tools/kept/stacked_isometric_layers.py

Five seeds for every cell of the ablation, 1,000 rounds on the torus of 16 x 16 points, 40 epochs
of digits and 5 epochs of 20,000 images of MNIST; about half an hour on one thread.
"""

from executed import keep

if __name__ == "__main__":
    keep("distances/stacked_isometric_layers", size="hour")
