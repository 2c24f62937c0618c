from companion.book import claims as claims
from companion.book import exercises as exercises
from companion.book import results as results
from companion.book import widgets as widgets

__all__: list[str]
