"""The recipes by name, and the host packages that they need together."""

from __future__ import annotations

from collections.abc import Mapping

from tarmac.drivers.images.base import Recipe
from tarmac.drivers.images.debian import DebianRecipe
from tarmac.drivers.images.tiny import TinyRecipe

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (TinyRecipe(), DebianRecipe())}


def host_packages() -> tuple[str, ...]:
    """All Debian packages that any recipe calls on, sorted; the setup installs them."""
    return tuple(sorted({package for recipe in RECIPES.values() for package in recipe.debian_packages}))
