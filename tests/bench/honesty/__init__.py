"""How honest the report is: rendered fixed cameras whose true accuracy is known.

`make bench-honesty` compares what our split and our estimates report with what is true of new
events, at the same places and at new ones.
"""
