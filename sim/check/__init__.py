"""Engine against closed form, against real convolutions, against published tables."""
