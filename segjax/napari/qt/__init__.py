"""The plugin's widgets; only here is Qt."""
