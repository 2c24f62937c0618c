"""Run the chapter distances/metric_structure in its full size and keep what its claims measured.

    python tools/kept/metric_structure.py

Full size means ten seeds instead of five.
"""

from executed import keep

if __name__ == "__main__":
    keep("distances/metric_structure", size="1")
