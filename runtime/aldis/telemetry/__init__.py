"""What the process tells about itself: log lines, metrics, and tasks that never die unseen.

It knows nothing of messaging but the names of what is counted.
"""
