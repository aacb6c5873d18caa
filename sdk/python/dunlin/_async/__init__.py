"""The asynchronous half; dunlin/_sync is made from it by tools/unasync."""
