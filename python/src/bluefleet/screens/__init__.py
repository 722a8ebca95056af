"""Screens of the site's devices on a desktop: `bsui-screens motor_ph`, made by typhos. Qt is in the image of screens only."""
