// Remove what signing in left in the address bar.
if (location.search) history.replaceState(null, "", location.pathname);
watch();
tend();
followVisits();
followDrift();
