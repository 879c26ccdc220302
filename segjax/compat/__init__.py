"""Other tools' call signatures over segjax's metrics: change the import, keep the script."""
