"""Trains a small transformer on text, in slices: a kernel for Outlast."""

from train_text.kernel import TrainText

__all__ = ["TrainText"]
