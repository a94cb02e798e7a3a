"""The three wire dialects; each knows only itself and the canonical model."""
