"""Sources whose files ordinary packages carry. One file each."""
