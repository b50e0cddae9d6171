"""A week of dinners: a recurrent network whose weights were set by hand.

There are three foods in a cycle. On a sunny day there is time to cook the next one, on a rainy day
there are leftovers. Two maps vote, one from yesterday's food and one from the weather: what has
both votes is tonight's dinner.
"""

import numpy as np

import elman

FOODS = ["apple pie", "burger", "chicken"]
WEATHER = {"sunny": [1, 0], "rain": [0, 1]}
WEEK = ["sunny", "rain", "sunny", "sunny", "rain", "rain", "sunny"]

cell = elman.cells["dinner"]
print("\n".join(line for line in str(cell).splitlines() if "[t] =" in line), end="\n\n")
weather = [WEATHER[day] for day in WEEK]
values = cell.trace({"weather": weather}, {}, {"food": [1, 0, 0]}).values

print("Before the week: apple pie. The votes: each food as leftovers, then each as a new dish.")
for day, votes, food in zip(WEEK, values["a"], values["food"], strict=True):
    same, new = votes[:3].astype(int), votes[3:].astype(int)
    print(f"  {day:<6} {same} {new}  {FOODS[food.argmax()]}")

print("\nIts forerunners. From the weather alone: a burger on a sunny day, a pizza on a rainy one.")
food = elman.cells["dinner_weather"].trace({"weather": weather}, {}).values["food"]
print("  " + ", ".join(["burger", "pizza"][each.argmax()] for each in food))

print("From yesterday's dinner alone: one further every night.")
first = [[1, 0, 0], *np.zeros((6, 3))]
food = elman.cells["dinner_cycle"].trace({"first": first}, {}).values["food"]
print("  " + ", ".join(FOODS[each.argmax()] for each in food))
