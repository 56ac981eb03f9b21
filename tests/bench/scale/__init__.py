"""How the split grows: seconds, memory and disk for rendered photos and for rows with stand-ins."""
